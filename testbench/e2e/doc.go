// Package e2e tests the whole path with the program that is shipped: a real
// agent process, a broker and a CEM.
//
// It holds tests only.
package e2e
