package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/doorward/doorward/internal/sandbox"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"doorward": func() {
			os.Exit(run(context.Background(), os.Args[1:], &streams{out: os.Stdout, err: os.Stderr, confine: true}))
		},
	})
}

// TestScripts runs the command line's behaviour as scripts, one file a topic.
func TestScripts(t *testing.T) {
	demo, err := filepath.Abs("../../testdata/demo")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Condition: func(cond string) (bool, error) {
			return sandbox.Supported(), nil // "landlock" is the only one
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("DEMO", demo)
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, ".cache"))
			return nil
		},
	})
}
