"""Telling people and programs how executions end, and that a gate waits for them.

`outbox` writes what is to be told in the transaction it tells of; `deliver` sends it afterwards, and again if need be;
`mail` and `webhooks` are the ways it goes; `texts` is what it says.
"""
