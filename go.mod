module github.com/doorward/doorward

go 1.26

require pgregory.net/rapid v1.2.0

require github.com/alecthomas/kong v1.12.1
