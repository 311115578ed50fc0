"""Run one entry once, in this fresh process, and print one line of JSON last."""

from __future__ import annotations

import json
import os
import sys

from benchmarks.kit import ENTRIES, Meter, load_adapters


def main() -> None:
    case, system, variant = sys.argv[1:4]
    load_adapters()
    found = ENTRIES[case, system, variant]
    meter = Meter(int(sys.argv[4]) if len(sys.argv) > 4 else found.n)
    found.fn(meter)
    print("\nRESULT " + json.dumps(meter.result()), flush=True)
    os._exit(0)  # a peer's threads that are left over are not waited for


if __name__ == "__main__":
    main()
