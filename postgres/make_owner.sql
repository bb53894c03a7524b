-- Run once, by PostgreSQL's image, when its volume is empty: the owner of the database, who is no superuser. Everything
-- else (schema, writer, reader) is made by the service `migrate`, at every start.
\getenv password HEARTBEAT_OWNER_PASSWORD
create role heartbeat_user login createrole password :'password';
create database heartbeat_db owner heartbeat_user;
