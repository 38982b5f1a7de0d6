"""What somebody gets who has come as far as one of the networks inside.

Task: T-057 · Spec: plan.md#end-to-end
"""

import json
from typing import Any

import pytest
from todo_stack.compose import TAG, docker, inspect

pytestmark = pytest.mark.timeout(900)  # The first test waits for the images.

# Run in the page's container: which of the addresses given take a connection.
KNOCK = """
const net = require("node:net");
const [addresses, port] = [process.argv[1].split(","), Number(process.argv[2])];
const knock = (host) => new Promise((resolve) => {
  const socket = net.connect({ host, port, timeout: 2000 });
  const end = (answer) => { socket.destroy(); resolve([host, answer]); };
  socket.on("connect", () => end("open")).on("timeout", () => end("silent"));
  socket.on("error", (error) => end(error.code));
});
Promise.all(addresses.map(knock)).then((all) => console.log(JSON.stringify(Object.fromEntries(all))));
"""

# Run beside the tasks service, with its libraries: what it answers to all that one can try without a secret.
TRY = """
import base64, json, sys, time, urllib.error, urllib.request
import jwt

user = sys.argv[1]
now = int(time.time())
claims = {"iss": "todo-gateway", "aud": "todo", "sub": user, "iat": now, "exp": now + 60, "txn": "1"}
kind = {"typ": "txntoken+jwt"}
forged = jwt.encode(claims, "a secret that the attacker made up", "HS256", headers=kind)
part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
unsigned = f'{part({"alg": "none", **kind})}.{part(claims)}.'
attempts = {
    "nothing": {},
    "a user id": {"X-User-Id": user},
    "a forged token": {"X-User-Id": user, "Txn-Token": forged},
    "an unsigned token": {"X-User-Id": user, "Txn-Token": unsigned},
    "the public token": {"X-User-Id": user, "Txn-Token": sys.argv[2]},
    "a bearer token": {"Authorization": "Bearer " + sys.argv[2]},
}
def ask(path, headers={}):
    try:
        request = urllib.request.Request("http://tasks:8001" + path, headers=headers)
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        return error.code
answers = {name: ask("/api/tasks", headers) for name, headers in attempts.items()}
print(json.dumps({**answers, "its health": ask("/healthz"), "its document": ask("/openapi.json")}))
"""


def test_the_page_has_no_way_to_the_tasks_service(stack: Any) -> None:
    web, tasks, postgres, gateway = (
        stack.project.container(service) for service in ("web", "tasks", "postgres", "gateway")
    )

    def addresses(container: str) -> list[str]:
        return [
            network["IPAddress"] for network in inspect(container)["NetworkSettings"]["Networks"].values()
        ]

    def knock(hosts: list[str], port: int) -> dict[str, str]:
        answers = json.loads(docker("exec", web, "node", "-e", KNOCK, ",".join(hosts), str(port)))
        assert isinstance(answers, dict)
        return answers

    assert knock(["postgres"], 5432) == {"postgres": "open"}, "it has one to its own database"
    assert "open" not in knock(["tasks", *addresses(tasks)], 8001).values()
    assert "open" in knock(addresses(gateway), 8000).values()
    assert not set(inspect(postgres)["NetworkSettings"]["Networks"]) & {f"{stack.project.name}_front"}


def test_the_inside_networks_have_no_way_out(stack: Any) -> None:
    for network in ("back", "web-data", "tasks-data", "counts"):
        (found,) = json.loads(docker("network", "inspect", f"{stack.project.name}_{network}"))
        assert found["Internal"] is True


def test_beside_the_tasks_service_nobody_gets_anything_without_the_identity_secret(
    stack: Any, sign_up: Any
) -> None:
    ada = sign_up()
    network = f"--network={stack.project.name}_back"
    run = ["run", "--rm", network, "--entrypoint=python", f"todo-tasks:{TAG}", "-c", TRY]
    answers = json.loads(docker(*run, "somebody", ada.token))
    assert answers.pop("its health") == 200
    assert answers.pop("its document") in (401, 404)
    assert len(answers) == 6
    assert set(answers.values()) == {401}, answers
