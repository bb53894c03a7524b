-- Run by the service `owner` at every start, as the superuser: the database and its owner, who is no superuser. Everything
-- else (schema, writer, reader) is made by the service `migrate`. A password that was changed in .env is changed here.
\getenv owner_password HEARTBEAT_OWNER_PASSWORD
\getenv superuser_password POSTGRES_PASSWORD
-- A server that logs statements must not log these passwords.
set log_statement = none;
set log_min_error_statement = panic;
select 'create role heartbeat_user' where not exists (select from pg_roles where rolname = 'heartbeat_user') \gexec
alter role heartbeat_user login createrole password :'owner_password';
alter role postgres password :'superuser_password';
select 'create database heartbeat_db owner heartbeat_user'
 where not exists (select from pg_database where datname = 'heartbeat_db') \gexec
