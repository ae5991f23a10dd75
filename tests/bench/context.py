#!/usr/bin/python3
"""How fast a context goes through the farm, beside what stands there for it: prints a table and judges nothing.

    make bench-context [BENCH="--runs 5 --rows first,changed --source FOLDER"]

Each row is measured in turns with what is named in parentheses, so that both meet the same machine; medians. A target is met
when every part of it is; "NO" marks one that is missed. The modules of rows say what is timed and counted.

rows, and the seconds that each takes on two cores with 5 runs:
"""
import argparse
import signal
import sys

import frame
import rows_send    # noqa: F401 - a module of rows registers them when it is imported
import rows_worker  # noqa: F401
import rows_farm    # noqa: F401
import rows_line    # noqa: F401


def leave(number, _):
    signal.signal(number, signal.SIG_IGN)       # timeout(1) sends it twice
    sys.exit('bench: ended by a signal')


def known_rows():
    return ''.join(f'    {name:12} {row.seconds:4}{"" if row.usual else "  only when --rows names it"}\n'
                   for name, row in frame.rows.items())


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__ + known_rows(), formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--runs', type=int, default=5, help='the median of so many')
    parser.add_argument('--rows', default=','.join(name for name, row in frame.rows.items() if row.usual), help='which rows')
    parser.add_argument('--source', help='a source tree; default: that of the package linux-source')
    arguments = parser.parse_args()
    for name in arguments.rows.split(','):
        if name not in frame.rows:
            parser.error(f'there is no row {name}: it is one of {", ".join(frame.rows)}')
    return arguments


def main():
    arguments = parse_arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    bench = frame.Bench(arguments.runs, arguments.source)
    try:
        for name in arguments.rows.split(','):
            frame.rows[name].run(bench)
        for note in bench.notes:
            print(note)
    finally:
        bench.close()


main()
