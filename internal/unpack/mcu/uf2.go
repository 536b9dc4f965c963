package mcu

import (
	"encoding/binary"
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// UF2 opens Microsoft's format for flashing over USB (its specification): blocks of 512 bytes
// with three magics, an address, numbers, and up to 476 bytes.
var UF2 = &unpack.Reader{
	Name:    "uf2",
	Doc:     "UF2 files: the memory that they write, by family of chips",
	Limits:  "the format has no checksum over its content; MD5 marks of ranges are not compared",
	Checked: "an independent writer",
	Magics:  []unpack.Magic{{At: 0, Bytes: "UF2\nWQ]\x9e"}},
	Carve:   true,
	Open:    openUF2,
}

const uf2Block = 512

var uf2Families = map[uint32]string{
	0xe48bff56: "RP2040", 0xe48bff57: "RP2 absolute", 0xe48bff58: "RP2 data", 0xe48bff59: "RP2350 ARM", 0xe48bff5a: "RP2350 RISC-V", 0xe48bff5b: "RP2350 ARM non-secure",
	0x68ed2b88: "SAMD21", 0x55114460: "SAMD51", 0xada52840: "nRF52840", 0x1b57745f: "nRF52", 0x621e937a: "nRF52833", 0x57755a57: "STM32F4", 0x5ee21072: "STM32F1", 0x647824b6: "STM32F0",
	0x5d1a0a2e: "STM32F2", 0x6b846188: "STM32F3", 0x53b80f00: "STM32F7", 0x300f5633: "STM32G0", 0x4c71240a: "STM32G4", 0x6db66082: "STM32H7", 0x202e3a91: "STM32L0", 0x1e1f432d: "STM32L1",
	0x00ff6919: "STM32L4", 0x04240bdf: "STM32L5", 0x70d16653: "STM32WB", 0x1c5f21b0: "ESP32", 0xbfdd4eee: "ESP32-S2", 0xc47e5767: "ESP32-S3", 0xd42ba06c: "ESP32-C3", 0x540ddf62: "ESP32-C6", 0x7eab61ed: "ESP8266",
	0x16573617: "ATmega32", 0x4fb2d5bd: "i.MX RT10xx", 0x2abc77ec: "LPC55",
}

func openUF2(in *unpack.Input) (*unpack.Object, error) {
	var list []piece
	o := &unpack.Object{Format: "uf2", Info: map[string]string{}}
	families := map[string]bool{}
	slide := unpack.NewSlider(in.Data)
	total := uint32(0)
	for n := uint32(0); ; n++ {
		b := slide.At(o.Size, uf2Block)
		word := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
		if len(b) < uf2Block || word(0) != 0x0a324655 || word(1) != 0x9e5d5157 || word(127) != 0x0ab16f30 || word(4) > 476 {
			if n > 0 && n < total {
				o.Err = fmt.Errorf("truncated: %d blocks are stated, %d are there", total, n)
			}
			break
		}
		if n == 0 || word(5) == 0 && n == total {
			total += word(6) // files for several families follow each other
		} else if n >= total {
			break
		}
		o.Size += uf2Block
		if word(2)&1 != 0 { // not for the main flash
			continue
		}
		if word(2)&0x2000 != 0 {
			families[unpackFamily(word(7))] = true
		}
		if list = add(list, uint64(word(3)), b[32:32+word(4)]); o.Size > in.Budget.Limits.Memory/4 {
			o.Err = fmt.Errorf("%w: a file of more than %d bytes", unpack.ErrLimit, o.Size)
			break
		}
	}
	if len(list) == 0 {
		return nil, unpack.ErrNotThis
	}
	for f := range families {
		if o.Info["family"] == "" || f < o.Info["family"] {
			o.Info["family"] = f
		}
	}
	o.Info["blocks"] = fmt.Sprint(o.Size / uf2Block)
	parts, err := memory(in, list)
	if o.Parts = parts; err != nil && o.Err == nil {
		o.Err = err
	}
	return o, nil
}

func unpackFamily(id uint32) string {
	if name := uf2Families[id]; name != "" {
		return name
	}
	return fmt.Sprintf("0x%08x", id)
}
