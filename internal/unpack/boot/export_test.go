package boot

// What the tests that need every reader (package boot_test) build images with.
var (
	SampleCpio = sampleCpio
	MakeUImage = makeUImage
	PackStream = packStream
	MakeZImage = makeZImage
	MakeKernel = makeKernel
	MakeTRX    = makeTRX
	MakeFIT    = makeFIT
	Mkimage    = mkimage
)

const UImageMagic = uimageMagic
