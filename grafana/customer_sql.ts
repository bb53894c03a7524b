/**
 * The chosen customer's id as text. An id comes from outside: it may contain quotes, backslashes or the name of a
 * macro, which Grafana's server would expand even inside a string literal. Percent-encoding leaves only letters, digits
 * and -._~%, and the SQL decodes it. Grafana's own quoting (`sqlstring`) protects quotes, but not against macros.
 */
export const CUSTOMER = `(
                select convert_from(coalesce(string_agg(
                         case length(part[1]) when 3 then decode(right(part[1], 2), 'hex') else convert_to(part[1], 'UTF8') end,
                         ''::bytea order by place), ''::bytea), 'UTF8')
                  from regexp_matches('\${customer:percentencode}', '%[0-9A-Fa-f]{2}|.', 'g')
                       with ordinality as parts(part, place))`;

/** In a longer range, each point is the aggregate of a minute or more. */
export const RAW_UP_TO = "2 hours";

/** Grafana replaces both instants by literals, so the planner removes the query whose condition is false. */
export const SHORT_RANGE = `$__timeTo()::timestamptz - $__timeFrom()::timestamptz <= interval '${RAW_UP_TO}'`;
export const LONG_RANGE = `$__timeTo()::timestamptz - $__timeFrom()::timestamptz > interval '${RAW_UP_TO}'`;
