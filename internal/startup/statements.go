package startup

import "mvdan.cc/sh/v3/syntax"

// Statements parses text as a Bourne shell script, with the evaluator's guards
// against hostile input: of a text that does not parse as a whole, the lines
// that do alone. Nil for text that is for another interpreter.
func Statements(text string) []*syntax.Stmt {
	if len(text) > maxScript {
		return nil
	}
	return parseText(text).stmts
}
