package unpack

import (
	"context"
	"testing"
)

func TestFolder(t *testing.T) {
	dir := sampleTree(t)
	o, closer, err := Folder(context.Background(), dir, NewBudget(Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	sameSummary(t, summaryOfFolder(t, dir), summaryOfObject(t, o))
}
