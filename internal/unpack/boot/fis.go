package boot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/doorward/doorward/internal/unpack"
)

// FIS opens the directory of RedBoot's flash image system: entries of 256 bytes
// with name, address in flash, address in memory, size, entry point and length
// of the data (drivers/mtd/parsers/redboot.c), in the processor's byte order.
// It says where the other parts lie; it holds none.
var FIS = &unpack.Reader{
	Name:    "fis",
	Doc:     "RedBoot's FIS directories in both byte orders: the partitions of the flash, told by their own entry in it",
	Limits:  "The checksums of the images that the entries name are not looked at.",
	Checked: "hand-made directories",
	Magics:  []unpack.Magic{{At: 0, Bytes: "RedBoot\x00\x00\x00"}, {At: 0, Bytes: "FIS directory\x00"}},
	Carve:   true,
	Open:    openFIS,
}

const (
	fisEntry   = 256
	fisSelf    = "FIS directory"
	maxFIS     = 256
	maxFISSize = 1 << 30
)

func openFIS(in *unpack.Input) (*unpack.Object, error) {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if t, self, n := fisTable(in.Data, order); self.Size > 0 {
			return &unpack.Object{Format: "redboot fis directory", Size: int64(n) * fisEntry, Info: map[string]string{
				"entries": fmt.Sprint(len(t.Partitions)), "partitions": t.MTDParts(), "directory at": fmt.Sprintf("0x%x", self.Offset),
			}}, nil
		}
	}
	return nil, unpack.ErrNotThis
}

// fisTable reads the entries in a byte order, and says how many places they
// take. self is the directory's own; its size is 0 if the order is wrong or the
// bytes are no directory.
func fisTable(data unpack.Bytes, order binary.ByteOrder) (t PartitionTable, self Partition, used int) {
	t.Device = "redboot"
	for n := 0; n < maxFIS && (self.Size == 0 || int64(n)*fisEntry < self.Size); n++ {
		e := unpack.ReadSome(data, int64(n)*fisEntry, fisEntry)
		if len(e) < fisEntry || e[0] == 0 {
			break
		}
		if e[0] == 0xff {
			continue // deleted, or not used yet
		}
		name, _, ok := bytes.Cut(e[:16], []byte{0})
		p := Partition{Name: string(name), Offset: int64(order.Uint32(e[16:])), Size: int64(order.Uint32(e[24:]))}
		if !ok || !unpack.IsText(name) || p.Size == 0 || p.Size > maxFISSize || p.Size%256 != 0 || p.Offset%4096 != 0 || int64(order.Uint32(e[32:])) > p.Size || p.Offset > math.MaxUint32-p.Size+1 {
			return t, Partition{}, 0
		}
		if p.Name == fisSelf {
			self = p
		}
		t.Partitions = append(t.Partitions, p)
		used = n + 1
	}
	if len(t.Partitions) < 2 {
		return t, Partition{}, 0
	}
	return t, self, used
}
