#!/bin/bash
# Run once by the PostgreSQL image on an empty volume: the same roles and database that the embedded server gets.
set -euo pipefail

psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    --set owner_password="$COSTHUB_OWNER_PASSWORD" --set app_password="$COSTHUB_APP_PASSWORD" <<'SQL'
CREATE ROLE costhub_owner LOGIN CREATEDB CREATEROLE NOSUPERUSER NOBYPASSRLS PASSWORD :'owner_password';
CREATE ROLE costhub_app LOGIN NOCREATEDB NOCREATEROLE NOSUPERUSER NOBYPASSRLS PASSWORD :'app_password';
GRANT costhub_app TO costhub_owner WITH ADMIN TRUE, INHERIT TRUE, SET TRUE;
CREATE DATABASE costhub OWNER costhub_owner;
SQL
