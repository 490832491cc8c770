"""Prints the ten slowest tests of all steps of `make test`."""

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

cases = [
    (float(case.get("time", 0)), f"{case.get('classname')}::{case.get('name')}")
    for path in Path("build/tests").glob("*.xml")
    for case in ET.parse(path).iter("testcase")  # noqa: S314 - written by pytest
]
sys.stdout.writelines(f"{time:6.1f} s  {name}\n" for time, name in sorted(cases, reverse=True)[:10])
