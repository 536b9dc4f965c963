package uefi

// store looks at a volume that holds variables.
func (w *walker) store(start int64) { w.raw("store", start, w.volume.size) }
