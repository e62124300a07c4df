"""Node trees and data that travel in a file without the add-on."""
