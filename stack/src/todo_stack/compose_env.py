"""Makes what docker-compose.yml needs and no repository may hold: secrets as files, and where they are.

Run as a file, `./dev compose-env` does, it needs the standard library alone.

Task: T-056 · Spec: plan.md#compose
"""

import secrets
import sys
from pathlib import Path

FOLDER = "secrets"
SETTING = "TODO_SECRETS_DIR"


def make(root: Path) -> list[str]:
    """Make each secret that is missing in `root`'s folder, and name the folder in its `.env`.

    What is there already stays as it is, whoever made it. Returns the paths of what was made or changed,
    relative to `root`.

    The folder is its owner's alone (0700), which is what keeps others on this machine out. The files in it
    may be read by everybody (0444): Docker mounts them, as they are, into containers whose users own nothing
    here.
    """
    folder = root / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    made = []

    def keep(name: str, value: str) -> str:
        file = folder / name
        if file.exists():
            return file.read_text().strip()
        file.touch(mode=0o600)
        file.write_text(value + "\n")
        file.chmod(0o444)
        made.append(f"{FOLDER}/{name}")
        return value

    keep("postgres_password", secrets.token_urlsafe(32))
    password = keep("database_password", secrets.token_urlsafe(32))
    keep("database_url", f"postgresql://todo:{password}@postgres/todo")
    keep("identity_secret", secrets.token_urlsafe(32))
    keep("better_auth_secret", secrets.token_urlsafe(32))

    env = root / ".env"
    lines = env.read_text().splitlines() if env.exists() else []
    if not any(line.startswith(f"{SETTING}=") for line in lines):
        env.write_text("\n".join([*lines, f"{SETTING}=./{FOLDER}", ""]))
        made.append(".env")
    return made


def main(root: Path) -> None:
    """Make what is missing, and say so."""
    made = make(root)
    if not made:
        print(f"All secrets are in {FOLDER}/ already; nothing was changed.")
        return
    print("Made " + ", ".join(made) + ".")
    print("Git ignores all of them. Keep a copy elsewhere: the database opens with these passwords only.")
    print("Next: docker compose up --wait")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
