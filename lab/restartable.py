"""A program that may be killed and started again in the middle of a run."""

from __future__ import annotations

from lab.stack.process import Process, start


class Restartable:
    """The process that runs now, whichever it is."""

    def __init__(self, process: Process) -> None:
        self.process = process

    def kill(self) -> None:
        """End it at once, as a crash would; again does nothing."""
        if self.process.alive:
            self.process.kill()

    def stop(self) -> None:
        """Ask whichever runs now to end."""
        self.process.stop()

    def again(self) -> None:
        """Start the same program anew, after having killed it if it still runs."""
        self.kill()
        self.process = start(self.process.program)
