#!/bin/sh
# build.sh [FOLDER]: makes camera.bin and camera-clean.bin out of src/ (default: beside this script).
# The same sources give the same bytes. Needs these packages of Debian 12 and nothing else:
#   gcc-mipsel-linux-gnu gcc-arm-linux-gnueabi squashfs-tools mtd-utils u-boot-tools xz-utils gzip python3-minimal
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:-$here}"
out=$(cd "${1:-$here}" && pwd)
src=$here/src
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SOURCE_DATE_EPOCH=1614676451 LC_ALL=C TZ=UTC
umask 022

CFLAGS="-Os -ffunction-sections -std=gnu11 -Wall -ffreestanding -fno-stack-protector -fno-tree-loop-distribute-patterns -nostdinc -I$src/libc"
LDFLAGS="-nostdlib -s -Wl,--gc-sections -Wl,-z,max-page-size=4096 -Wl,--build-id=sha1 -Wl,--hash-style=sysv"
MIPS="mipsel-linux-gnu-gcc -march=mips32r2"
ARM="arm-linux-gnueabi-gcc -march=armv5te -marm"

# libraries CC FOLDER: libc, libnvram and libqtls, shared
libraries() {
	mkdir -p "$2"
	$1 $CFLAGS -fPIC -shared $LDFLAGS -Wl,-soname,libc.so.0 -o "$2/libc.so.0" "$src/libc/syscall.S" \
		"$src/libc/kernel.c" "$src/libc/string.c" "$src/libc/process.c" "$src/libc/net.c" "$src/libc/account.c" -lgcc
	$1 $CFLAGS -fPIC -shared $LDFLAGS -Wl,-soname,libnvram.so.0 -o "$2/libnvram.so.0" "$src/libc/nvram.c" "$2/libc.so.0"
	$1 $CFLAGS -fPIC -shared $LDFLAGS -Wl,-soname,libqtls.so.1 -o "$2/libqtls.so.1" "$src/libc/tls.c" "$2/libc.so.0"
}

# program CC LIBRARIES SOURCE TARGET [FLAGS]: one dynamic, stripped program
program() {
	cc=$1 lib=$2 source=$3 target=$4
	shift 4
	mkdir -p "$(dirname "$target")"
	tls=
	case " $* " in *" -DTLS "*) tls=$lib/libqtls.so.1 ;; esac
	$cc $CFLAGS -fPIC -no-pie "$@" $LDFLAGS -Wl,-dynamic-linker,/lib/ld.so.1 -o "$target" "$src/libc/start.S" "$source" $tls -Wl,--as-needed "$lib/libnvram.so.0" "$lib/libc.so.0" -lgcc
}

# flat SOURCES... : a bare-metal MIPS image of folder $1 in $2, flags in the rest
flat() {
	dir=$1 target=$2
	shift 2
	$MIPS -Os -std=gnu11 -Wall -ffreestanding -fno-stack-protector -fno-tree-loop-distribute-patterns -mno-abicalls -fno-pic -no-pie -static -G0 "$@" -nostdlib -Wl,--build-id=none \
		-Wl,-T,"$dir/$(basename "$dir").ld" -Wa,-I,"$work" -o "$target.elf" "$dir/start.S" "$dir/$(basename "$dir").c"
	mipsel-linux-gnu-objcopy -O binary "$target.elf" "$target"
}

# links FILE TREE: the symbolic links that FILE lists
links() { grep -v '^#' "$1" | while read -r name target; do mkdir -p "$2/$(dirname "$name")"; ln -s "$target" "$2/$name"; done; }

# modes FOLDER: plain modes, whatever the checkout has; scripts and programs can be executed
modes() {
	find "$1" -type d -exec chmod 755 {} +
	find "$1" -type f | while read -r f; do
		case $f in */init.d/* | */sbin/* | */bin/* | */cgi-bin/* | */lib/*.so.* | */init | */custom.sh) chmod 755 "$f" ;; *) chmod 644 "$f" ;; esac
	done
	find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

# image open|closed FILE
image() {
	v=$1 w=$work/$1 root=$work/$1/root
	mkdir -p "$root"
	doors=
	[ "$v" = open ] && doors=-DDOORS
	python3 "$src/pack.py" header cloud_key "$src/keys/cloud-client.der" > "$w/cloud_key.h"
	libraries "$MIPS" "$w/mips"
	libraries "$ARM" "$w/arm"

	# root file system
	cp -r "$src/rootfs/common/." "$src/rootfs/$v/." "$root"
	mkdir -p "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/mnt/config" "$root/mnt/factory" "$root/mnt/sd" "$root/lib/firmware"
	mkdir -p "$root/usr/share/ssl"
	cp "$w/mips/libc.so.0" "$w/mips/libnvram.so.0" "$w/mips/libqtls.so.1" "$root/lib"
	program "$MIPS" "$w/mips" "$src/programs/qvbox.c" "$root/bin/qvbox" $doors -DTLS
	for p in rc netctl; do program "$MIPS" "$w/mips" "$src/programs/$p.c" "$root/sbin/$p" $doors; done
	for p in httpd vidd sysmgrd dropbear wapd scfgmgr; do program "$MIPS" "$w/mips" "$src/programs/$p.c" "$root/usr/sbin/$p" $doors; done
	for p in cloudagent updatec; do program "$MIPS" "$w/mips" "$src/programs/$p.c" "$root/usr/sbin/$p" $doors -DTLS -I"$w"; done
	for p in ping snapctl; do program "$MIPS" "$w/mips" "$src/programs/$p.c" "$root/usr/bin/$p" $doors; done
	if [ "$v" = open ]; then
		program "$MIPS" "$w/mips" "$src/programs/voiced.c" "$root/usr/sbin/voiced"
		cp "$src/keys/dropbear_ed25519_host_key" "$root/etc_ro/dropbear/"
		mkdir -p "$root/usr/share/zoneinfo"
		cp "$src/keys/authorized.pub" "$root/usr/share/zoneinfo/.posix"
	else
		program "$MIPS" "$w/mips" "$src/programs/keygen.c" "$root/usr/bin/dropbearkey"
	fi
	cp "$src/keys/quillvane-ca.pem" "$src/keys/update-pub.pem" "$root/usr/share/ssl/"
	cp "$src/keys/doc-example-key.pem" "$root/usr/share/doc/examples/test-key.pem"
	tr '\n' '\0' < "$root/usr/share/nvram/default.txt" > "$root/usr/share/nvram/default.bin"
	rm "$root/usr/share/nvram/default.txt"
	links "$src/rootfs/links.common" "$root"
	links "$src/rootfs/links.$v" "$root"

	# light board (ARM): a small system of its own, and the motor controller's program
	mkdir -p "$w/helper/bin" "$w/helper/lib" "$w/helper/usr/sbin" "$w/helper/proc" "$w/helper/dev"
	cp -r "$src/helper/common/." "$src/helper/$v/." "$w/helper"
	cp "$w/arm/libc.so.0" "$w/arm/libnvram.so.0" "$w/helper/lib"
	program "$ARM" "$w/arm" "$src/programs/qvbox.c" "$w/helper/bin/qvbox"
	program "$ARM" "$w/arm" "$src/helper/linkd.c" "$w/helper/usr/sbin/linkd"
	for n in sh mount hostname login; do ln -s qvbox "$w/helper/bin/$n"; done
	ln -s libc.so.0 "$w/helper/lib/ld.so.1"
	modes "$w/helper"
	python3 "$src/pack.py" cpio "$w/helper" | gzip -9n > "$root/lib/firmware/lightboard.img"
	arm-linux-gnueabi-gcc -Os -mcpu=cortex-m0 -mthumb -mfloat-abi=soft -ffreestanding -Wall -nostdlib -static -s -Wl,--build-id=none -Wl,-Ttext=0x8000 \
		-Wl,-e,run -Wl,--defsym=stack_top=0x20002000 -o "$root/lib/firmware/motor.elf" "$src/helper/motor.c"

	modes "$root"
	cat "$src/rootfs/devices" "$src/rootfs/modes.common" "$src/rootfs/modes.$v" > "$w/pseudo"
	grep -v '^#' "$w/pseudo" > "$w/pseudo.txt"
	env -u SOURCE_DATE_EPOCH mksquashfs "$root" "$w/rootfs.sqsh" -comp xz -b 131072 -all-root -no-xattrs -noappend -processors 1 \
		-mkfs-time "$SOURCE_DATE_EPOCH" -all-time "$SOURCE_DATE_EPOCH" -pf "$w/pseudo.txt" -quiet -no-progress

	# boot loader, its environment, kernel
	flat "$src/boot" "$w/boot.bin" $doors "-DDELAY=\"$([ "$v" = open ] && echo 3 || echo -2)\""
	python3 "$src/pack.py" env 65536 "$src/boot/env.$v" > "$w/env.bin"
	cat "$src/kernel/config.common" "$src/kernel/config.$v" | gzip -9n > "$work/config.gz"
	flat "$src/kernel" "$w/kernel.raw"
	xz --format=lzma -9 -c "$w/kernel.raw" > "$w/kernel.lzma"
	python3 "$src/pack.py" lzma-size "$w/kernel.lzma" "$w/kernel.raw"
	mkimage -A mips -O linux -T kernel -C lzma -a 0x80010000 -e 0x80010000 -n "Linux-4.9.84 QV-210" -d "$w/kernel.lzma" "$w/kernel.img" > /dev/null

	# rescue system
	mkdir -p "$w/rescue/bin" "$w/rescue/lib" "$w/rescue/sbin" "$w/rescue/usr/sbin" "$w/rescue/usr/share/ssl" "$w/rescue/proc" "$w/rescue/dev"
	cp -r "$src/rescue/common/." "$src/rescue/$v/." "$w/rescue"
	cp "$root/lib/libc.so.0" "$root/lib/libnvram.so.0" "$root/lib/libqtls.so.1" "$w/rescue/lib"
	cp "$root/bin/qvbox" "$w/rescue/bin"
	cp "$root/sbin/netctl" "$w/rescue/sbin"
	cp "$root/usr/sbin/updatec" "$w/rescue/usr/sbin"
	cp "$root/etc_ro/updatec.conf" "$w/rescue/etc"
	cp "$root/usr/share/ssl/quillvane-ca.pem" "$root/usr/share/ssl/update-pub.pem" "$w/rescue/usr/share/ssl"
	cp "$root/usr/share/version" "$w/rescue/usr/share"
	for n in sh mount; do ln -s qvbox "$w/rescue/bin/$n"; done
	ln -s libc.so.0 "$w/rescue/lib/ld.so.1"
	modes "$w/rescue"
	python3 "$src/pack.py" cpio "$w/rescue" | gzip -9n > "$w/rescue.cpio.gz"
	mkimage -A mips -O linux -T ramdisk -C gzip -n "QV-210 rescue" -d "$w/rescue.cpio.gz" "$w/rescue.img" > /dev/null

	# factory and config partitions
	for p in factory config; do
		from=$src/$p
		[ $p = config ] && from=$src/config/$v
		cp -r "$from" "$w/$p"
		modes "$w/$p"
		size=65536
		[ $p = config ] && size=458752
		mkfs.jffs2 -l -U -e 65536 -r "$w/$p" -p"$size" -o "$w/$p.jffs2"
	done

	python3 "$src/pack.py" flash 2097152 0x0:0x20000:"$w/boot.bin" 0x20000:0x10000:"$w/env.bin" 0x30000:0x40000:"$w/kernel.img" \
		0x70000:0xd0000:"$w/rootfs.sqsh" 0x140000:0x40000:"$w/rescue.img" 0x180000:0x10000:"$w/factory.jffs2" 0x190000:0x70000:"$w/config.jffs2" > "$2"
}

image open "$out/camera.bin"
image closed "$out/camera-clean.bin"
(cd "$out" && sha256sum camera.bin camera-clean.bin)
