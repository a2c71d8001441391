"""OAuth 2.0 for Flyte's clients: how flytekit, flytectl and the like log people in, against Causeway's accounts.

The protocol is Authlib's (RFC 6749, 7636, 8628); here is what it asks for: clients, codes, tokens.
"""
