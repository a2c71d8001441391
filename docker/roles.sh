#!/bin/sh
# Runs once, when PostgreSQL makes its cluster: the database, its owner (Causeway's processes) and the executor's role.
# What the latter may is granted after each migration by `manage.py grant_executor`.
set -eu
psql --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv owner DATABASE_PASSWORD
\getenv executor EXECUTOR_DATABASE_PASSWORD
CREATE ROLE causeway LOGIN CREATEROLE PASSWORD :'owner';
CREATE ROLE causeway_executor LOGIN PASSWORD :'executor';
CREATE DATABASE causeway OWNER causeway;
REVOKE ALL ON DATABASE causeway, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE causeway TO causeway_executor;
SQL
