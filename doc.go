// Package doorward is the vocabulary of Doorward: what every other package of
// this module talks about, and nothing that acts.
//
// A product is what is bought: a chip, a device, software. Its maker answers
// for it. An artifact is the bytes of a product that can be inspected. A
// component is an identified part with its own name, version and maker.
//
// A door is an access path: any means by which someone can get into the
// product, or data can get out of it. Evidence shows that the door exists,
// precisely enough for a person to check it by hand. A declaration is what the
// maker states; held against it a door is declared, undeclared, or contradicts
// it. Origin facts say who designed, made or maintains a component, and where.
// A policy is the organisation's rules; a decision is what they say of one
// product at one level. Unread is a part that could not be read: it is always
// reported, since "no undeclared door" means nothing without it.
//
// A reader opens one format; a detector finds one sort of door. The four
// stages of hidden access are signal, access, collect and transmit; a door
// names the stages that its evidence shows.
//
// The package uses the standard library alone.
package doorward
