package unpack_test

import (
	"context"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

func TestFolder(t *testing.T) {
	dir := unpacktest.SampleTree(t)
	o, closer, err := unpack.Folder(context.Background(), dir, unpack.NewBudget(unpack.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, dir), unpacktest.SummaryOfObject(t, o))
}
