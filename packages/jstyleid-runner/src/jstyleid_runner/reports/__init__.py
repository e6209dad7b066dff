"""Reports: progress, figures, tables, sheets and pages."""
