"""The same sessions for nox users: each one is tox's environment of that name.

The commands are written once, in `tox.ini`: `nox -s jittor eval` is `tox -e jittor,eval`.
"""

import nox

nox.options.sessions = ["jittor", "eval"]


def _through_tox(name: str) -> None:
    @nox.session(name=name, python=False)
    def session(session: nox.Session) -> None:
        session.run("python", "-m", "tox", "run", "-e", name, "--", *session.posargs, external=True)


for _name in ("jittor", "eval", "reference", "lint", "demo", "demo-score", "model", "bench",
              "bench-checker", "bench-backends", "structure", "jdiffusion",
              "docs", "notebooks", "wheels", "fuzz"):
    _through_tox(_name)
