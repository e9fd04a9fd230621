# PostgreSQL's accounts, made by its image when its volume is new (docker-compose.yml): the service
# owns its database and is no superuser, and who watches sees what others wait for and no more.
# Passwords are those that `why504 init` made: hexadecimal, so that they need no quoting.
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" <<SQL
CREATE ROLE context LOGIN PASSWORD '${SERVICE_DB_PASSWORD:?}';
CREATE DATABASE context OWNER context;
CREATE ROLE watch LOGIN PASSWORD '${WATCH_DB_PASSWORD:?}' CONNECTION LIMIT 10;
GRANT pg_monitor TO watch;
SQL
