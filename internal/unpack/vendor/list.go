package vendor

import "github.com/doorward/doorward/internal/unpack"

// List holds the readers of makers' headers, the most specific first. They are
// tried before those of what the headers hold.
var List = []*unpack.Reader{
	// Told by their last bytes.
	OpenWrt,
	QNAP,

	// Makers of devices.
	TPLink,
	TPLink2,
	SafeLoader,
	Seama,
	NetgearCHK,
	NetgearDNI,
	ZyNOS,
	ZyTRX,
	Realtek,
	RealtekOld,
	BCMTag,
	CyberTAN, // before TRX, which it holds
	CyberTAN2,
	AsusTail,
	Ubiquiti,
	NPK,
	Buffalo,
	Xiaomi,
	HWNP,
	WHWH,
	Digicap,
	Dahua,
	Instar,
	BNEG,
	Senao,
	SHRS,
	EncrptedImg,
	DeafBead,

	// Makers of chips.
	MediaTekLK,
	MediaTekBoot,
	RKFW,
	RKAF,
	RKBoot,
	RKSD,
	RKNS,
	RKCRC,
	EGON,
	ImageWTY,
	Amlogic,
	STM32,
	Zynq,
	IMX,
	Kirkwood,
}

// Last is the readers without a magic, which are tried on what no other opened.
var Last = []*unpack.Reader{
	DLink,
}
