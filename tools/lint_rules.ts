/**
 * Lint rules that keep functions short. An exception needs a reason:
 * `// deno-lint-ignore house/max-function-lines -- reason`.
 */
const MAX_LINES = 60;
const MAX_PARAMETERS = 4;

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
      return lines > MAX_LINES ? `a function of ${lines} lines, expected at most ${MAX_LINES}` : undefined;
    }),
    "max-parameters": rule(({ params: { length } }) =>
      length > MAX_PARAMETERS
        ? `a function of ${length} parameters, expected at most ${MAX_PARAMETERS}: pass an object`
        : undefined
    ),
  },
} satisfies Deno.lint.Plugin;
