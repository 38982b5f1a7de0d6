"""What to do with a running stack: addresses, the demo user, and commands to paste.

Task: T-004 · Spec: plan.md#processes
"""

import json
import shlex

from todo_stack.up import Stack

_TOKEN_OF = """python3 -c 'import json,sys; print(json.load(sys.stdin)["token"])'"""


def guide(stack: Stack) -> str:
    """Return the text that a start ends with."""
    lines = [
        f"  gateway    {stack.gateway_url}  (its API: {stack.gateway_url}/docs)",
        f"  issuer     {stack.issuer.url}  ({stack.issuer.name})",
    ]
    if stack.web_url:
        lines.insert(0, f"  page       {stack.web_url}")
    if stack.demo_user:
        lines.append(f"  demo user  {stack.demo_user.email}, password {stack.demo_user.password}")
    lines += ["", "Try it:", "", *(f"  {line}" for line in curl_lines(stack))]
    return "\n".join(lines)


def curl_lines(stack: Stack) -> list[str]:
    """Return three shell commands: get a token, create a task, list the tasks.

    With an issuer that is not ours there is no demo user, and the first command asks for the token.
    """
    if stack.demo_user:
        credentials = {"email": stack.demo_user.email, "password": stack.demo_user.password}
        sign_in = (
            f"curl -s {stack.issuer.endpoints}/sign-in/email -H 'Content-Type: application/json' "
            f"-d {shlex.quote(json.dumps(credentials))} | {_TOKEN_OF}"
        )
        bearer = f'-H "Authorization: Bearer $({sign_in})"'
        token = f"TOKEN=$(curl -s {stack.issuer.endpoints}/token {bearer} | {_TOKEN_OF})"
    else:
        token = 'read -r -p "A token of your issuer: " TOKEN'
    tasks = f'curl -s {stack.gateway_url}/api/tasks -H "Authorization: Bearer $TOKEN"'
    return [
        token,
        f"""{tasks} -H 'Content-Type: application/json' -d '{{"title": "Water the plants"}}'""",
        tasks,
    ]
