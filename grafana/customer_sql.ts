/** SQL about the chosen customer. */

/**
 * The chosen customer's id as text. An id is data from outside and may hold quotes, backslashes, or a macro's name, which
 * Grafana's server would expand even inside a quoted text. Percent-encoded it is letters, digits, -._~ and % only; it is
 * decoded here. Grafana's own quoting (sqlstring) takes care of the quotes, but not of the macros.
 */
export const CUSTOMER = `(
                select convert_from(coalesce(string_agg(
                         case length(part[1]) when 3 then decode(right(part[1], 2), 'hex') else convert_to(part[1], 'UTF8') end,
                         ''::bytea order by place), ''::bytea), 'UTF8')
                  from regexp_matches('\${customer:percentencode}', '%[0-9A-Fa-f]{2}|.', 'g')
                       with ordinality as parts(part, place))`;

/** Up to here every reading is a point; beyond it a point stands for a minute or more. */
export const RAW_UP_TO = "2 hours";

/** Both are literals, so the planner leaves the other half of the switch out. */
export const SHORT_RANGE = `$__timeTo()::timestamptz - $__timeFrom()::timestamptz <= interval '${RAW_UP_TO}'`;
export const LONG_RANGE = `$__timeTo()::timestamptz - $__timeFrom()::timestamptz > interval '${RAW_UP_TO}'`;
