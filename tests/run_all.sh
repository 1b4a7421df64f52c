#!/usr/bin/env bash
# All tests: most of them side by side, then those that start Ray, alone. Exit status as pytest's: the first
# failure ends it; arguments may leave no test of one kind, but not of both.
set -uo pipefail
no_tests=5
allowed=$([ $# -gt 0 ] && echo $no_tests || echo 0)

$PYTEST $BESIDE -m "not serve" "$@"
others=$?
[ $others -eq 0 ] || [ $others -eq "$allowed" ] || exit $others

$PYTEST -m serve "$@"
ray=$?
[ $ray -eq "$allowed" ] && exit $others
exit $ray
