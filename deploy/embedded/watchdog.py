"""`python -m deploy.embedded.watchdog RUN_FILE OWNER_PID`: ends what its owner started, when the owner died.

The owner holds the other end of this process's standard input. Whatever ends the owner, the system closes
it; then the children that the run file still names are stopped the way the next start would stop them.
"""

import sys
from pathlib import Path

from deploy.embedded.processes import read_run_file, stop_processes


def main(run_file: Path, owner: int) -> None:
    """Wait for the end of standard input, then stop the owner's processes and remove its run file."""
    sys.stdin.buffer.read()
    found_owner, recorded = read_run_file(run_file)
    if found_owner != owner:  # a normal end removed the file, or a new owner has taken over
        return
    stop_processes(recorded)
    if read_run_file(run_file)[0] == owner:
        run_file.unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
