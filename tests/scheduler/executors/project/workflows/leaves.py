# ruff: noqa
import sys

sys.exit("no licence")
