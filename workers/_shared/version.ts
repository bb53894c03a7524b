/** The version of every program here, as it says it of itself. */
export const VERSION = "0.1.0";
