// Package database implements package store with SQLite and PostgreSQL.
package database
