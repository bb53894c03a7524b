/**
 * Lint rules of this repository: functions that fit on a screen. An exception carries its reason:
 * `// deno-lint-ignore house/max-function-lines -- reason`.
 */
const LINES_AT_MOST = 60;
const PARAMETERS_AT_MOST = 4;

type FunctionNode =
  | Deno.lint.FunctionDeclaration
  | Deno.lint.FunctionExpression
  | Deno.lint.ArrowFunctionExpression;

const FUNCTIONS = "FunctionDeclaration, FunctionExpression, ArrowFunctionExpression";

function rule(complaint: (node: FunctionNode, text: string) => string | undefined): Deno.lint.Rule {
  return {
    create: (context) => ({
      [FUNCTIONS]: (node: FunctionNode) => {
        const message = complaint(node, context.sourceCode.text.slice(...node.range));
        if (message !== undefined) context.report({ node, message });
      },
    }),
  };
}

export default {
  name: "house",
  rules: {
    "max-function-lines": rule((_, text) => {
      const lines = text.split("\n").length;
      return lines > LINES_AT_MOST
        ? `a function of ${lines} lines, expected at most ${LINES_AT_MOST}`
        : undefined;
    }),
    "max-parameters": rule(({ params: { length } }) =>
      length > PARAMETERS_AT_MOST
        ? `a function of ${length} parameters, expected at most ${PARAMETERS_AT_MOST}: give them names in an object`
        : undefined
    ),
  },
} satisfies Deno.lint.Plugin;
