#!/usr/bin/python3
"""What the farm itself costs: prints a table and judges nothing.

    make bench-overhead [BENCH="--runs 11"]

A context of two files, one of which differs from run to run, is built and published. All is what farmctl submit takes from
its start to its end; builder is the time inside of buildah (build and push) of the job that ended last; overhead is the rest.
Its parts: farmctl (starting, sending the context, hearing the end), queued, fetching, worker (what it does around the
builder), verifying, publishing. The last column is how long the push took, which is the builder's time too. Medians, in
milliseconds; on a build of two platforms the parts are those of the job that ended last."""
import argparse
import os
import statistics
import time

from devfarm import Devfarm, parts_of

PARTS = ("farmctl", "queued", "fetching", "worker", "verifying", "publishing", "(pushing)")
WITH_RUN = "FROM %BASE%\nCOPY stamp /stamp\nRUN true\n"
WITHOUT_RUN = "FROM scratch\nCOPY stamp /stamp\n"


def measure(farm, name, dockerfile, platforms, runs):
    context = farm.context("context", dockerfile)
    results = []
    for run in range(runs + 1):
        with open(os.path.join(context, "stamp"), "w", encoding="utf-8") as file:
            file.write(f"{name} {run} {time.time_ns()}\n")
        start = time.monotonic()
        build = farm.submit(context, platforms)
        wall_ms = (time.monotonic() - start) * 1000
        results.append(parts_of(farm.farmctl("inspect", str(build["id"])), wall_ms))
    results = results[1:]           # the first one meets cold caches
    row = [statistics.median(result[column] for result in results) for column in ("all", "builder", "overhead", *PARTS)]
    print(f"{name:32}" + "".join(f"{value:11.0f}" for value in row), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=11)
    options = parser.parse_args()
    with Devfarm() as farm:
        print(f"the farm's overhead, median of {options.runs}, ms; target 150 for two platforms")
        print(f"{'':32}" + "".join(f"{column:>11}" for column in ("all", "builder", "overhead", *PARTS)))
        both = [farm.native, farm.foreign] if farm.has_foreign() else [farm.native]
        measure(farm, f"{farm.native}, RUN", WITH_RUN, both[:1], options.runs)
        measure(farm, f"{farm.native}, no RUN", WITHOUT_RUN, both[:1], options.runs)
        if farm.has_foreign():
            measure(farm, "both, RUN (one emulated)", WITH_RUN, both, options.runs)
            measure(farm, "both, no RUN", WITHOUT_RUN, both, options.runs)


main()
