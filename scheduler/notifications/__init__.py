"""Telling people and programs of happenings.

`outbox` writes who is to be told in the statement that writes the happening; `deliver` sends it afterwards, and again
if need be; `mail` and `webhooks` are the ways it goes, the console's bell shows the rows as they are; `texts` is what
is said.
"""
