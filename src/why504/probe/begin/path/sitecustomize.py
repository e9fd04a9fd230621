"""Found first by every interpreter under `why504 run`; the one that was meant is run after us."""

import importlib.machinery
import importlib.util
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _begin() -> None:
    try:
        from why504.probe.begin.wiring import begin

        begin()
    except Exception as error:
        # Once, not by each worker; the service starts all the same.
        if os.environ.get("WHY504_RUN_SAID") is None:
            os.environ["WHY504_RUN_SAID"] = "1"
            why = f"{type(error).__name__}: {error}"
            print(f"why504: the program runs without us: {why}", file=sys.stderr, flush=True)


def _go_on() -> None:
    others = [path for path in sys.path if os.path.abspath(path or ".") != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


_begin()
_go_on()
