package main

import (
	"fmt"
	"strings"
)

// flashPeer unpacks what a flash image holds, two file systems and a kernel, and
// hashes it and the image. Its arguments are the image and its pieces.
const flashPeer = `image=$1 payload=$2; shift 2
for s; do unsquashfs -q -n -p 2 -d "$(basename "$s")" "$s" >log; done
lz4 -dc "$payload" >vmlinux
find . -type f -print0 | xargs -0 sha256sum >../sums
sha256sum "$image"`

// diskPeer copies the files out of an ext4 image and hashes them and the image.
const diskPeer = `debugfs -R "rdump / ." "$1" 2>log
find . -type f -print0 | xargs -0 sha256sum >../sums
sha256sum "$1"`

// chainPeer is what is run over an image today for a part of the answer.
const chainPeer = `binwalk -e -M -q --run-as=root "$1" >log 2>&1
yara -r -w -N "$2" . >yara.out
find . -type f -print0 | xargs -0 -n 100 strings -n 6 >/dev/null
find . -type f -size +4k -print0 | xargs -0 -n 100 ssdeep -s >ssdeep.out || true
find . -type f -print0 | while IFS= read -r -d '' f; do
	case $(head -c 4 "$f" | tail -c 3) in ELF) objdump -d "$f" >/dev/null 2>&1 || true;; esac
done`

// yaraRules are n rules of the size that public sets have: three texts, a run of
// bytes and an expression each.
func yaraRules(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `rule bench_%d {
	strings:
		$a = "backdoor_%d"
		$b = "/etc/secret%d.conf" nocase
		$c = "cmd_%x_exec" wide ascii
		$d = { %02x 5? 4e %02x [2-6] 9c %02x }
		$e = /key%d=[a-f0-9]{16,32}/
	condition:
		any of ($a, $b, $c) or ($d and $e)
}
`, i, i, i, i*2654435761, i&0xff, (i*7)&0xff, (i*13)&0xff, i)
	}
	return b.String()
}
