"""The clock without standstills of the machine."""

import signal
import subprocess
import sys
import time

from tests.support.paths import ROOT

_PROGRAM = """
import time
from loadgen.common.clock import awake
began = time.monotonic() - awake()
time.sleep(0.2)
print("ready", flush=True)
input()
print(time.monotonic() - awake() - began)
"""


def test_the_clock_stops_while_no_process_runs() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        process.send_signal(signal.SIGCONT)
        output, _ = process.communicate("\n", timeout=60)
    assert float(output) > 0.4
