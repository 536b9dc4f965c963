// Package archive opens packages and archives: rpm, 7z, cab, rar and the older
// packers. Most of them hold files in streams that can be decoded from their
// start only: such a stream is decoded once, into memory that the budget counts.
package archive
