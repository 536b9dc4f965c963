// Package mcu opens the images of microcontrollers: hex files, and what
// bootloaders and chips of Espressif, Nordic, ST, Silicon Labs and others put
// around programs for the bare machine.
package mcu
