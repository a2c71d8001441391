# ruff: noqa
import not_installed_anywhere
