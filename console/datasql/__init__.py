"""SQL over the data of artifacts: `select region, count(*) from artifact('ml-dataset', region := 'SEA') group by 1`."""
