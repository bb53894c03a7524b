-- The service `owner` runs this as superuser at every start. It creates the database and its owner, who is no superuser,
-- and applies passwords that were changed in .env. The service `migrate` creates the schema and the other roles.
\getenv owner_password HEARTBEAT_OWNER_PASSWORD
\getenv superuser_password POSTGRES_PASSWORD
-- Keeps the passwords out of the server's log.
set log_statement = none;
set log_min_error_statement = panic;
select 'create role heartbeat_user' where not exists (select from pg_roles where rolname = 'heartbeat_user') \gexec
alter role heartbeat_user login createrole password :'owner_password';
alter role postgres password :'superuser_password';
select 'create database heartbeat_db owner heartbeat_user'
 where not exists (select from pg_database where datname = 'heartbeat_db') \gexec
