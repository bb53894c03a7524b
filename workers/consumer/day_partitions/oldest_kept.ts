/** What is old by both clocks: $1 is ours, and one that is ahead of its time must not drop what is still wanted. */
export const OLDEST_KEPT = "least(now(), $1::timestamptz) - make_interval(days => $2)";
