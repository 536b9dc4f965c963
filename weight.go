package doorward

// Weight says how much a door matters, whatever its status.
type Weight string

// From heavy to light.
const (
	Critical Weight = "critical"
	High     Weight = "high"
	Medium   Weight = "medium"
	Low      Weight = "low"
	Info     Weight = "info"
)

// Weights lists every weight, heaviest first.
var Weights = []Weight{Critical, High, Medium, Low, Info}

// Rank orders weights: critical is 4, info is 0.
func (w Weight) Rank() int {
	for i, x := range Weights {
		if x == w {
			return len(Weights) - 1 - i
		}
	}
	return 0
}

// Down is the weight n steps lighter, not below info.
func (w Weight) Down(n int) Weight {
	rank := max(w.Rank()-n, 0)
	return Weights[len(Weights)-1-rank]
}

// Gain is what a door gives to the one who uses it.
type Gain int

// What can be gained, from most to least.
const (
	Control  Gain = iota // root shell, commands, uid 0
	UserData             // user-level access, reading data
	Change               // others can change the product without a checked signature
	Capture              // camera, microphone, screen, location; its reach is remote if the program can also send
	Contact              // the product can be talked to, or talks, and no more is shown
)

// Hidden is how well a door is closed to those who were not told of it.
type Hidden int

// From open to well kept.
const (
	Open    Hidden = iota // no credential, or one that is the same on every unit
	PerUnit               // a credential of the unit's own
	Normal                // a per-unit credential on a normal administration service
	Checked               // a signature or certificate is checked
)

// Weigh is the one function that gives weights; docs/weights.md has an example
// for each of its lines. clear means that the channel is neither encrypted nor
// authenticated, which matters to Change.
func Weigh(gain Gain, reach Reach, hidden Hidden, clear bool) Weight {
	switch gain {
	case Control:
		return controlWeight(reach).Down(lighter(hidden))
	case UserData:
		return controlWeight(reach).Down(1 + lighter(hidden))
	case Change:
		return changeWeight(reach, hidden, clear)
	case Capture:
		if reach == Remote {
			return High
		}
		return Low
	}
	if hidden == Open && clear {
		return Medium
	}
	return Low
}

func controlWeight(reach Reach) Weight {
	switch reach {
	case Remote:
		return Critical
	case Adjacent:
		return High
	}
	return Medium
}

func lighter(hidden Hidden) int {
	switch hidden {
	case PerUnit:
		return 1
	case Normal, Checked:
		return 2
	}
	return 0
}

func changeWeight(reach Reach, hidden Hidden, clear bool) Weight {
	weight := Medium
	switch {
	case hidden == Checked:
		return Low
	case reach == Remote && clear:
		weight = Critical
	case reach == Remote:
		weight = High
	case reach == Adjacent:
		weight = High
	}
	return weight
}

// Cap lowers a weight to what the certainty allows: a hint is never above
// medium.
func (w Weight) Cap(c Certainty) Weight {
	if c == Hint && w.Rank() > Medium.Rank() {
		return Medium
	}
	return w
}
