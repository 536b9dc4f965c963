package doorward_test

import (
	"os"
	"strings"
	"testing"

	"github.com/doorward/doorward"
)

// Each line of docs/weights.md is what the function gives, and the lines cover
// every gain from every reach that can differ, and every way of being closed.
func TestWeightsAreAsDocumented(t *testing.T) {
	text, err := os.ReadFile("docs/weights.md")
	if err != nil {
		t.Fatal(err)
	}
	gains := map[string]doorward.Gain{"control": doorward.Control, "user": doorward.UserData, "change": doorward.Change, "contact": doorward.Contact}
	closed := map[string]doorward.Hidden{"open": doorward.Open, "per-unit": doorward.PerUnit, "normal": doorward.Normal, "checked": doorward.Checked}
	seen := map[string]bool{}
	lines := 0
	for _, line := range strings.Split(string(text), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 8 {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		gain, isGain := gains[cells[1]]
		if !isGain {
			continue
		}
		hidden, isHidden := closed[cells[3]]
		if !isHidden || cells[4] != "yes" && cells[4] != "no" || cells[6] == "" {
			t.Errorf("a line that cannot be read: %s", line)
		}
		lines++
		seen[cells[1]+" "+cells[2]], seen[cells[1]+" "+cells[3]] = true, true
		if got := doorward.Weigh(gain, doorward.Reach(cells[2]), hidden, cells[4] == "yes"); string(got) != cells[5] {
			t.Errorf("the function gives %s for: %s", got, line)
		}
	}
	if lines < 30 {
		t.Fatalf("only %d lines were read", lines)
	}
	for _, want := range []string{
		"control remote", "control adjacent", "control local", "control physical", "user remote", "user adjacent", "user local", "user physical",
		"change remote", "change adjacent", "change local", "change physical", "contact remote",
		"control open", "control per-unit", "control normal", "control checked", "change open", "change per-unit", "change checked", "contact open", "contact checked",
	} {
		if !seen[want] {
			t.Errorf("docs/weights.md has no line for %s", want)
		}
	}
}

func TestWeightArithmetic(t *testing.T) {
	if doorward.Critical.Rank() != 4 || doorward.Info.Rank() != 0 || doorward.Weight("x").Rank() != 0 {
		t.Error("ranks are not 4 to 0")
	}
	if doorward.High.Down(1) != doorward.Medium || doorward.Low.Down(9) != doorward.Info {
		t.Error("down does not count, or goes below info")
	}
	if doorward.Critical.Cap(doorward.Hint) != doorward.Medium || doorward.Critical.Cap(doorward.Likely) != doorward.Critical || doorward.Low.Cap(doorward.Hint) != doorward.Low {
		t.Error("a hint is above medium, or something else is capped")
	}
}
