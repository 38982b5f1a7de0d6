#!/bin/sh
# Run once, when the data directory is made: the role of web and tasks owns its database, and is no superuser.
set -eu
psql --username "$POSTGRES_USER" --dbname postgres --set ON_ERROR_STOP=1 <<'SQL'
\set password `cat /run/secrets/database_password`
CREATE ROLE todo LOGIN PASSWORD :'password';
CREATE DATABASE todo OWNER todo;
SQL
